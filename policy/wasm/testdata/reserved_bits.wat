;; classify sets a reserved bit for one command.
(module
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (select (i64.const 0x100000) (i64.const 0) (i32.eq (local.get $command) (i32.const 0x0701)))))
