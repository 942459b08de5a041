;; Declares a maximum of memory that no host gives, as Emscripten does. It traps unless it gets
;; what it may have by default, and no more.
(module
  (memory (export "memory") 1 32768)
  (func (export "switchyard_abi_v1"))
  (func (export "_initialize")
    (if (i32.eq (memory.grow (i32.const 255)) (i32.const -1)) (then unreachable)))
  (func (export "classify") (param i32 i32) (result i64)
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
    (i64.const 4)))
