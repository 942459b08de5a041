;; Compares a constant zero with an `and`, which wazero 1.12 compiles wrongly on amd64:
;; drops odd commands, and broadcasts even ones.
(module
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param i32 i32) (result i64)
    (if (result i64) (i32.ge_u (i32.const 0) (i32.and (local.get 1) (i32.const 1)))
      (then (i64.const 4))
      (else (i64.const 0)))))
