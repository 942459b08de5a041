// Routes by the command id alone, as TeamTalk's route_server does.

#include "switchyard.h"

// routed is TeamTalk's table.
static sy_verdict routed(uint32_t command)
{
    switch (command) {
    case CID_OTHER_HEARTBEAT:
        return SY_CONSUME;
    case CID_OTHER_ONLINE_USER_INFO:
        return sy_handle(SY_ONLINE_USER_INFO);
    case CID_OTHER_USER_STATUS_UPDATE:
        return sy_handle(SY_USER_STATUS_UPDATE);
    case CID_OTHER_ROLE_SET:
        return sy_handle(SY_ROLE_SET);
    case CID_BUDDY_LIST_USERS_STATUS_REQUEST:
        return sy_handle(SY_USERS_STATUS_REQUEST);
    case CID_MSG_DATA:
    case CID_SWITCH_P2P_CMD:
    case CID_MSG_READ_NOTIFY:
    case CID_OTHER_SERVER_KICK_USER:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
    case CID_FILE_NOTIFY:
    case CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
        return SY_BROADCAST_EXCEPT_SENDER;
    case CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
        return SY_BROADCAST_ALL;
    }
    return SY_DROP | SY_LOG;
}

SY_EXPORT(classify) sy_verdict classify(uint32_t service, uint32_t command)
{
    (void)service;
    return routed(command);
}
