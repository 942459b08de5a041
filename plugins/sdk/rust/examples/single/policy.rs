//! Sends single chats and small changes of groups only to the peers that hold the
//! users concerned.

#![cfg_attr(target_arch = "wasm32", no_std)]

use switchyard::fields::{self, Field, Fields, Value};
use switchyard::{names::*, Handler, Malformed, Pdu, Verdict};

switchyard::export!(classify, inspect_body, buffer: 65536);

// Fields of IMMsgData and of IMGroupChangeMemberNotify.
const FROM_USER_ID: u32 = 1;
const TO_SESSION_ID: u32 = 2;
const MSG_TYPE: u32 = 5;
const ATTACH_DATA: u32 = 20;
const CHG_USER_ID_LIST: u32 = 5;

fn classify(_service: u32, command: u32) -> Verdict {
    match command {
        CID_MSG_DATA | CID_GROUP_CHANGE_MEMBER_NOTIFY => table(command).inspect_body(),
        _ => table(command),
    }
}

/// A body that cannot be read is broadcast, as the table says.
fn inspect_body(pdu: Pdu, body: &[u8]) -> Verdict {
    match pdu.command() {
        CID_MSG_DATA => chat(body),
        CID_GROUP_CHANGE_MEMBER_NOTIFY => group_change(body),
        command => Ok(table(command)),
    }
    .unwrap_or(Verdict::BROADCAST_EXCEPT_SENDER)
}

fn chat(body: &[u8]) -> Result<Verdict, Malformed> {
    let (mut kind, mut attachment) = (0, &[][..]);
    for field in Fields::new(body) {
        let Field { number, value } = field?;
        match (number, value) {
            (MSG_TYPE, Value::Varint(v)) => kind = v as u32,
            (ATTACH_DATA, Value::Bytes(b)) => attachment = b,
            _ => {}
        }
    }
    Ok(match kind {
        1 | 2 if attachment != b"broadcast" => {
            let users = Verdict::to_fields(&[FROM_USER_ID, TO_SESSION_ID]);
            users.not_sender().else_broadcast()
        }
        _ => Verdict::BROADCAST_EXCEPT_SENDER,
    })
}

fn group_change(body: &[u8]) -> Result<Verdict, Malformed> {
    let (mut users, mut user) = (0, 0);
    for value in fields::integers(body, CHG_USER_ID_LIST) {
        user = value? as u32;
        users += 1;
        if users > 3 {
            break; // whatever follows, it is broadcast
        }
    }
    Ok(match users {
        0 => Verdict::DROP,
        1 => Verdict::to_user(user).not_sender().else_broadcast(),
        2 | 3 => Verdict::to_fields(&[CHG_USER_ID_LIST])
            .not_sender()
            .else_broadcast(),
        _ => Verdict::BROADCAST_EXCEPT_SENDER,
    })
}

fn table(command: u32) -> Verdict {
    match command {
        CID_OTHER_HEARTBEAT => Verdict::CONSUME,
        CID_OTHER_ONLINE_USER_INFO => Verdict::handle(Handler::OnlineUserInfo),
        CID_OTHER_USER_STATUS_UPDATE => Verdict::handle(Handler::UserStatusUpdate),
        CID_OTHER_ROLE_SET => Verdict::handle(Handler::RoleSet),
        CID_BUDDY_LIST_USERS_STATUS_REQUEST => Verdict::handle(Handler::UsersStatusRequest),
        CID_MSG_DATA
        | CID_SWITCH_P2P_CMD
        | CID_MSG_READ_NOTIFY
        | CID_OTHER_SERVER_KICK_USER
        | CID_GROUP_CHANGE_MEMBER_NOTIFY
        | CID_FILE_NOTIFY
        | CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY => Verdict::BROADCAST_EXCEPT_SENDER,
        CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY => Verdict::BROADCAST_ALL,
        _ => Verdict::DROP.log(),
    }
}
