;; inspect logs what is not its own.
(module
  (import "switchyard_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (call $log (i32.const 2) (i32.const 0xfff0) (i32.const 17))
    (i64.const 0)))
