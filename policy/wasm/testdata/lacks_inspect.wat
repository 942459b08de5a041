;; classify asks for an inspection that is not exported.
(module
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104))) ;; inspect-header
