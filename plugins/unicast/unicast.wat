;; Presence-aware routing: what concerns single users goes to the peers that hold
;; them, everything else as in TeamTalk's table. Why each command is where it is
;; is in README.md.
;;
;; All of it is decided by the ids, but for chats: whether one is single or of a
;; group is in its body. Whatever is odd about a body, the chat is broadcast,
;; as it would be without this policy; the same holds if the inspection fails.
(module
  (memory (export "memory") 2)

  ;; Where bodies are put: not at 0, which would mean that there is no room.
  (global $room i32 (i32.const 16))
  ;; Where the body being inspected is read next; beyond its end after a fault.
  (global $at (mut i32) (i32.const 0))

  (func (export "switchyard_abi_v1"))

  (func (export "classify") (param $service i32) (param $command i32) (result i64)
    ;; broadcast-except-sender, inspect-body: CID_MSG_DATA
    (if (i32.eq (local.get $command) (i32.const 0x0301)) (then (return (i64.const 0x204))))

    ;; unicast fields user_id, not-sender, else-broadcast:
    ;; CID_MSG_READ_NOTIFY, CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY
    (if (i32.eq (local.get $command) (i32.const 0x0304)) (then (return (i64.const 0x0000000200031803))))
    (if (i32.eq (local.get $command) (i32.const 0x020f)) (then (return (i64.const 0x0000000200031803))))

    ;; unicast fields from_user_id to_user_id, not-sender, else-broadcast: CID_SWITCH_P2P_CMD
    (if (i32.eq (local.get $command) (i32.const 0x0601)) (then (return (i64.const 0x0000000600031803))))

    ;; unicast fields to_user_id, not-sender, else-broadcast: CID_FILE_NOTIFY
    (if (i32.eq (local.get $command) (i32.const 0x0508)) (then (return (i64.const 0x0000000400031803))))

    ;; broadcast-except-sender: CID_OTHER_SERVER_KICK_USER, CID_GROUP_CHANGE_MEMBER_NOTIFY
    (if (i32.eq (local.get $command) (i32.const 0x070d)) (then (return (i64.const 4))))
    (if (i32.eq (local.get $command) (i32.const 0x040b)) (then (return (i64.const 4))))

    ;; broadcast-all: CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY
    (if (i32.eq (local.get $command) (i32.const 0x0215)) (then (return (i64.const 5))))

    ;; consume: CID_OTHER_HEARTBEAT
    (if (i32.eq (local.get $command) (i32.const 0x0701)) (then (return (i64.const 1))))

    ;; handle: CID_OTHER_ONLINE_USER_INFO, CID_OTHER_USER_STATUS_UPDATE,
    ;; CID_OTHER_ROLE_SET, CID_BUDDY_LIST_USERS_STATUS_REQUEST
    (if (i32.eq (local.get $command) (i32.const 0x0708)) (then (return (i64.const 0x0000000100000002))))
    (if (i32.eq (local.get $command) (i32.const 0x070a)) (then (return (i64.const 0x0000000200000002))))
    (if (i32.eq (local.get $command) (i32.const 0x0707)) (then (return (i64.const 0x0000000300000002))))
    (if (i32.eq (local.get $command) (i32.const 0x020a)) (then (return (i64.const 0x0000000400000002))))

    (i64.const 0x400)) ;; drop, log: a wrong command id

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
    (global.get $room))

  ;; A chat goes to the holders of from_user_id and to_session_id, fields 1 and 2,
  ;; if its body says that it is a single one: msg_type, field 5, is there and 1 or 2
  ;; wherever it is there. In a group's chat to_session_id is not a user.
  (func (export "inspect_body")
    (param $body i32) (param $size i32) (param i64 i64 i64 i64) (result i64)
    (local $end i32) (local $tag i64) (local $value i64) (local $single i32) (local $left i32)
    (global.set $at (local.get $body))
    (local.set $end (i32.add (local.get $body) (local.get $size)))
    ;; A body of more fields than this is odd, so that fuel suffices whatever a body is made of.
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
                    (local.set $value (call $varint (local.get $end)))
                    (br_if $next (i64.ne (local.get $tag) (i64.const 0x28))) ;; field 5
                    (br_if $odd (i64.gt_u (i64.sub (local.get $value) (i64.const 1)) (i64.const 1)))
                    (local.set $single (i32.const 1))
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
      (br_if $odd (i32.eqz (local.get $single)))
      ;; unicast fields from_user_id to_session_id, not-sender, else-broadcast
      (return (i64.const 0x0000000600031803)))
    (i64.const 4))

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
  (func $fail (global.set $at (i32.const -1))))
