;; classify answers differently for neighbouring commands from 0x0900 on: it grows the memory, traps,
;; sets a reserved bit, and asks for an inspection that the guest lacks. All others get the same.
(module
  (memory (export "memory") 1)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (if (i32.lt_u (local.get $command) (i32.const 0x0900)) (then (return (i64.const 0))))
    (if (i32.lt_u (local.get $command) (i32.const 0x0940)) ;; grows
      (then (drop (memory.grow (i32.const 1))) (return (i64.const 1))))
    (if (i32.eq (local.get $command) (i32.const 0x0941)) (then unreachable))
    (if (i32.eq (local.get $command) (i32.const 0x0943)) (then (return (i64.const 0x80000004))))
    (if (i32.eq (local.get $command) (i32.const 0x0945)) (then (return (i64.const 0x104))))
    (i64.const 0)))
