;; Asks for an inspection that it has not, for an id that nobody uses.
(module
  (memory (export "memory") 2)
  (func (export "switchyard_abi_v1"))
  (func (export "buffer") (param $size i32) (result i32)
    (select (i32.const 0) (i32.const 1024) (i32.gt_u (local.get $size) (i32.const 65536))))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (if (i32.eq (local.get $command) (i32.const 0x0301)) (then (return (i64.const 0x204))))
    (if (i32.eq (local.get $command) (i32.const 0x7777)) (then (return (i64.const 0x104))))
    (i64.const 0x400))
  (func (export "inspect_body") (param $ptr i32) (param $len i32) (param i64 i64 i64 i64) (result i64)
    (i64.const 5)))
