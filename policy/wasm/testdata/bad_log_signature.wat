;; Imports the host's log function with other types.
(module
  (import "switchyard_v1" "log" (func (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0)))
