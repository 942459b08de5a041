//! Drops chats of more than 4096 bytes, unless a master sends them.

#![cfg_attr(target_arch = "wasm32", no_std)]

use switchyard::{names::*, Handler, Pdu, Verdict};

switchyard::export!(classify, inspect);

const LIMIT: u32 = 4096; // in bytes, header included

fn classify(_service: u32, command: u32) -> Verdict {
    match command {
        CID_MSG_DATA => table(command).inspect_header(),
        _ => table(command),
    }
}

fn inspect(pdu: Pdu) -> Verdict {
    match pdu.command() {
        CID_MSG_DATA if pdu.length() > LIMIT && !pdu.from_master() => Verdict::DROP.log(),
        command => table(command),
    }
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
