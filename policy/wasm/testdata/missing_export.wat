;; There is no classify.
(module
  (func (export "switchyard_abi_v1")))
