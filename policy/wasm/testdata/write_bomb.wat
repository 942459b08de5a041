;; inspect writes all its memory a thousand times over in one call.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (local $i i32)
    (loop $next ;; 1,000 vectors of 960 KiB
      (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 8))) (i32.const 0))
      (i32.store (i32.add (i32.const 1028) (i32.mul (local.get $i) (i32.const 8))) (i32.const 0xf0000))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 1000))))
    (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1000) (i32.const 0)))
    (i64.const 0)))
