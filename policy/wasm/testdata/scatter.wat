;; inspect stores at random addresses all over its memory, across lines and pages.
(module
  (memory (export "memory") 256 256)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
      (local $random i32)
    (loop $again
      (i64.store
        (i32.or
          (i32.and
            (i32.shr_u
              (local.tee $random
                (i32.add (i32.mul (local.get $random) (i32.const 1664525)) (i32.const 1013904223)))
              (i32.const 8))
            (i32.const 0xfef000))
          (i32.const 0xffd))
        (local.get $lo))
      (br $again))
    (unreachable)))
