;; inspect grows a table until it gets no more, and returns its size as the session of a
;; unicast.
(module
  (table $t 1 funcref)
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    (i64.const 0x104)) ;; broadcast-except-sender, inspect-header
  (func $inspect (export "inspect")
      (param $hi i64) (param $lo i64) (param $session i64) (param $attributes i64) (result i64)
    (drop (table.grow $t (ref.null func) (i32.const 50000)))
    (i64.or (i64.shl (i64.extend_i32_u (table.size $t)) (i64.const 32)) (i64.const 0x10003))))
