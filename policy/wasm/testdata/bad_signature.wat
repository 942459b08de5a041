;; classify has the types of another ABI.
(module
  (func (export "switchyard_abi_v1"))
  (func (export "classify") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "inspect") (param i64) (result f64) (f64.const 0)))
