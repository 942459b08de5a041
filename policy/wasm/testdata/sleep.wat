;; inspect sleeps an hour, then returns the number of events as the session of a unicast.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (i64.store (i32.const 24) (i64.const 3600000000000)) ;; timeout of the subscription at 0, a relative clock
    (i32.store8 (i32.const 56) (i32.const 1)) ;; the one at 48 waits for stdin
    (drop (call $yield))
    (if (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512)) (then (unreachable)))
    (i64.or (i64.shl (i64.load32_u (i32.const 512)) (i64.const 32)) (i64.const 0x10003))))
