;; Does all that ABI version 1 offers. 0x0301 is inspected by its header and goes to the
;; session in the low word of the sender's number; 0x0601 is inspected by its body and goes
;; to the session that is the sum of its bytes; 0x0304 asks for both; all else is broadcast.
(module
  (memory (export "memory") 3)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (if (i32.eq (local.get $command) (i32.const 0x0301)) (then (return (i64.const 0x104))))
    (if (i32.eq (local.get $command) (i32.const 0x0601)) (then (return (i64.const 0x204))))
    (if (i32.eq (local.get $command) (i32.const 0x0304)) (then (return (i64.const 0x304))))
    (i64.const 4))
  (func $to_session (param $session i64) (result i64)
    (i64.or (i64.shl (local.get $session) (i64.const 32)) (i64.const 0x10003)))
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (call $to_session (local.get $session)))
  (func (export "buffer") (param $size i32) (result i32)
    (select (i32.const 4096) (i32.const 0) (i32.le_u (local.get $size) (i32.const 0x10000))))
  (func (export "configure") (param $ptr i32) (param $len i32) (result i32)
    (i32.ne (i32.load8_u (local.get $ptr)) (i32.const 0x7b))) ;; an object begins with {
  (func $inspect_body (export "inspect_body")
      (param $ptr i32) (param $len i32)
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (local $sum i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $ptr))))
        (local.set $ptr (i32.add (local.get $ptr) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next)))
    (call $to_session (local.get $sum))))
