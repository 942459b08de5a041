;; What the module of a table has if it looks into bodies, before the functions that are
;; made for the table: memory, buffer, and a function that reads fields of a body. The
;; functions, globals and types of this file keep their numbers in the table's module.
(module
  (memory (export "memory") 2)

  ;; Where bodies are put: not at 0, which would mean that there is no room.
  (global $room i32 (i32.const 16))
  ;; Where the body is read next; beyond its end after a fault.
  (global $at (mut i32) (i32.const 0))
  ;; The values of the fields that $read was asked for, -1 for one that is not there.
  (global $value1 (mut i64) (i64.const -1))
  (global $value2 (mut i64) (i64.const -1))
  (global $value3 (mut i64) (i64.const -1))
  (global $value4 (mut i64) (i64.const -1))

  ;; Reads up to four varint fields at the top level of a body, by their numbers; 0 is no
  ;; field. Of a field that is there several times the last one counts, as for other
  ;; readers of protobuf, cut to 32 bits. In a body that cannot be read, or has more
  ;; fields than 256, none is there. So fuel suffices whatever a body is made of.
  (func $read (param $body i32) (param $size i32)
    (param $field1 i64) (param $field2 i64) (param $field3 i64) (param $field4 i64)
    (local $end i32) (local $tag i64) (local $value i64) (local $left i32)
    (call $forget)
    (global.set $at (local.get $body))
    (local.set $end (i32.add (local.get $body) (local.get $size)))
    (local.set $left (i32.const 256))
    (block $odd
      (loop $fields
        (if (i32.lt_u (global.get $at) (local.get $end))
          (then
            (br_if $odd (i32.eqz (local.get $left)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (local.set $tag (call $varint (local.get $end)))
            ;; no field is called 0, and no number of one is larger than 29 bits
            (br_if $odd (i64.gt_u (i64.sub (local.get $tag) (i64.const 8)) (i64.const 0xfffffff7)))
            (block $next
              (block $fixed32
                (block $bytes
                  (block $fixed64
                    (block $number
                      (br_table $number $fixed64 $bytes $odd $odd $fixed32 $odd $odd
                        (i32.and (i32.wrap_i64 (local.get $tag)) (i32.const 7))))
                    ;; $number
                    (local.set $value (i64.and (call $varint (local.get $end)) (i64.const 0xffffffff)))
                    (local.set $tag (i64.shr_u (local.get $tag) (i64.const 3)))
                    (if (i64.eq (local.get $tag) (local.get $field1)) (then (global.set $value1 (local.get $value))))
                    (if (i64.eq (local.get $tag) (local.get $field2)) (then (global.set $value2 (local.get $value))))
                    (if (i64.eq (local.get $tag) (local.get $field3)) (then (global.set $value3 (local.get $value))))
                    (if (i64.eq (local.get $tag) (local.get $field4)) (then (global.set $value4 (local.get $value))))
                    (br $next))
                  ;; $fixed64
                  (call $skip (i64.const 8) (local.get $end))
                  (br $next))
                ;; $bytes
                (call $skip (call $varint (local.get $end)) (local.get $end))
                (br $next))
              ;; $fixed32
              (call $skip (i64.const 4) (local.get $end)))
            (br $fields))))
      (br_if $odd (i32.ne (global.get $at) (local.get $end)))
      (return))
    (call $forget))

  (func $forget
    (global.set $value1 (i64.const -1))
    (global.set $value2 (i64.const -1))
    (global.set $value3 (i64.const -1))
    (global.set $value4 (i64.const -1)))

  ;; Reads a varint at $at, of ten bytes at most.
  (func $varint (param $end i32) (result i64)
    (local $value i64) (local $shift i64) (local $byte i64)
    (loop $more
      (if (i32.lt_u (global.get $at) (local.get $end))
        (then
          (local.set $byte (i64.load8_u (global.get $at)))
          (global.set $at (i32.add (global.get $at) (i32.const 1)))
          (local.set $value
            (i64.or (local.get $value) (i64.shl (i64.and (local.get $byte) (i64.const 0x7f)) (local.get $shift))))
          (if (i64.lt_u (local.get $byte) (i64.const 0x80)) (then (return (local.get $value))))
          (local.set $shift (i64.add (local.get $shift) (i64.const 7)))
          (br_if $more (i64.lt_u (local.get $shift) (i64.const 70))))))
    (call $fail)
    (i64.const 0))

  ;; Passes over bytes that must be there.
  (func $skip (param $bytes i64) (param $end i32)
    (if (i32.gt_u (global.get $at) (local.get $end)) (then (return)))
    (if (i64.gt_u (local.get $bytes) (i64.extend_i32_u (i32.sub (local.get $end) (global.get $at))))
      (then (call $fail) (return)))
    (global.set $at (i32.add (global.get $at) (i32.wrap_i64 (local.get $bytes)))))

  ;; Ends the reading: nothing is read beyond the end, and the end is missed.
  (func $fail (global.set $at (i32.const -1)))

  ;; Hands out the room, as large as it is wanted as long as the memory may grow.
  (func (export "buffer") (param $size i32) (result i32)
    (local $lacks i32) ;; pages
    (if (i32.gt_u (local.get $size) (i32.const 0x7fff0000)) (then (return (i32.const 0))))
    (local.set $lacks
      (i32.sub
        (i32.shr_u (i32.add (i32.add (local.get $size) (global.get $room)) (i32.const 0xffff)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $lacks) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $lacks)) (i32.const -1)) (then (return (i32.const 0))))))
    (global.get $room)))
