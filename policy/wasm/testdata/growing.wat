;; inspect grows the memory by as many pages as the sender's number, and traps when there are
;; not so many. It returns the number of pages as the session of a unicast.
(module
  (memory (export "memory") 1)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $session))) (i32.const -1)) (then unreachable))
    (i64.or (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 32)) (i64.const 0x10003))))
