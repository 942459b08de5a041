//! Routes as TeamTalk does, but a single chat goes only to the servers that hold one
//! of its two users.

#![cfg_attr(target_arch = "wasm32", no_std)]

use switchyard::{fields, names::*, Handler, Pdu, Verdict};

switchyard::export!(classify, inspect_body, buffer: 65536);

/// Decides by the ids alone. It is asked once for each pair of them.
fn classify(_service: u32, command: u32) -> Verdict {
    match command {
        // broadcast if the inspection fails
        CID_MSG_DATA => Verdict::BROADCAST_EXCEPT_SENDER.inspect_body(),
        CID_SWITCH_P2P_CMD
        | CID_MSG_READ_NOTIFY
        | CID_OTHER_SERVER_KICK_USER
        | CID_GROUP_CHANGE_MEMBER_NOTIFY
        | CID_FILE_NOTIFY
        | CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY => Verdict::BROADCAST_EXCEPT_SENDER,
        CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY => Verdict::BROADCAST_ALL,
        CID_OTHER_HEARTBEAT => Verdict::CONSUME,
        CID_OTHER_ONLINE_USER_INFO => Verdict::handle(Handler::OnlineUserInfo),
        CID_OTHER_USER_STATUS_UPDATE => Verdict::handle(Handler::UserStatusUpdate),
        CID_OTHER_ROLE_SET => Verdict::handle(Handler::RoleSet),
        CID_BUDDY_LIST_USERS_STATUS_REQUEST => Verdict::handle(Handler::UsersStatusRequest),
        _ => Verdict::DROP.log(),
    }
}

// The fields of a chat that count here, and the types of a single one.
const FROM_USER_ID: u32 = 1;
const TO_SESSION_ID: u32 = 2; // the receiver
const MSG_TYPE: u32 = 5;
const SINGLE_TEXT: u64 = 1;
const SINGLE_AUDIO: u64 = 2;

/// Decides about one PDU of those that classify wants inspected: a chat.
fn inspect_body(_pdu: Pdu, body: &[u8]) -> Verdict {
    match fields::integer(body, MSG_TYPE) {
        Ok(Some(SINGLE_TEXT | SINGLE_AUDIO)) => {
            Verdict::to_fields(&[FROM_USER_ID, TO_SESSION_ID]).not_sender().else_broadcast()
        }
        _ => Verdict::BROADCAST_EXCEPT_SENDER, // a group's, or not readable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_by_their_body() {
        let to_users = Verdict::to_fields(&[1, 2]).not_sender().else_broadcast();
        let to_all = Verdict::BROADCAST_EXCEPT_SENDER;
        // A field is its number << 3, for a varint, and the value.
        let cases: &[(&str, &[u8], Verdict)] = &[
            ("single text", &[1 << 3, 7, 2 << 3, 9, 5 << 3, 1], to_users),
            ("single audio", &[5 << 3, 2], to_users),
            ("group text", &[1 << 3, 7, 2 << 3, 9, 5 << 3, 17], to_all),
            ("no type", &[1 << 3, 7], to_all),
            ("cut off", &[5 << 3, 1, 2 << 3], to_all),
        ];
        for (name, body, want) in cases {
            assert_eq!(inspect_body(Pdu::new(0, 0, 1, 0), body), *want, "{}", name);
        }
    }

    #[test]
    fn commands_by_their_id() {
        let inspected = Verdict::BROADCAST_EXCEPT_SENDER.inspect_body();
        assert_eq!(classify(SID_MSG, CID_MSG_DATA), inspected);
        assert_eq!(classify(SID_OTHER, CID_OTHER_HEARTBEAT), Verdict::CONSUME);
        assert_eq!(classify(0, 0xffff), Verdict::DROP.log());
    }
}
