;; inspect follows addresses through all of its memory, each of which misses the caches and
;; depends on the one before.
(module
  (memory (export "memory") 256 256)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  ;; Each line of 64 bytes begins with the address of another, in one cycle over all.
  (func (export "_initialize") (local $line i32)
    (loop $next
      (i32.store
        (i32.shl (local.get $line) (i32.const 6))
        (i32.shl
          (i32.and
            (i32.add (i32.mul (local.get $line) (i32.const 0x1d0d35)) (i32.const 0x2b2ff7))
            (i32.const 0x3ffff))
          (i32.const 6)))
      (local.set $line (i32.add (local.get $line) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $line) (i32.const 0x40000)))))
  (func (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
      (local $at i32)
    (loop $again
      (local.set $at (i32.load (i32.load (i32.load (i32.load (i32.load (i32.load (i32.load (i32.load
        (local.get $at))))))))))
      (br $again))
    (unreachable)))
