;; inspect logs for ever.
(module
  (import "switchyard_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "to be or not to be\1b[31m\n")
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (loop $again
      (call $log (i32.const 2) (i32.const 16) (i32.const 24))
      (br $again))
    (unreachable)))
