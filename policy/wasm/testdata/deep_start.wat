;; Nests 3000 calls when it starts, which is within some limits of depth.
(module
  (func $nest (param $calls i32)
    (if (local.get $calls) (then (call $nest (i32.sub (local.get $calls) (i32.const 1))))))
  (func $start (call $nest (i32.const 3000)))
  (start $start)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param i32 i32) (result i64) (i64.const 0)))
