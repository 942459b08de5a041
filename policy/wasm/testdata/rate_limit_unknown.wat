;; rate_limit states limit 1, and classify names limit 2 for one command.
(module
  (func (export "switchyard_abi_v1"))
  (func (export "rate_limit") (param $number i32) (param $scope i32) (result i64)
    (select (i64.const 0x1000032) (i64.const 0) (i32.eq (local.get $number) (i32.const 1))))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (select (i64.const 0x8000005) (i64.const 0) (i32.eq (local.get $command) (i32.const 0x0701)))))
