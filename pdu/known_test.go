package pdu

import (
	"slices"
	"testing"
)

func TestCustomCommands(t *testing.T) {
	t.Cleanup(func() { SetCustomCommands(nil) })
	order, early := Command{9, 0x0901, "CID_MY_ORDER", "my.Order"}, Command{7, 0x0735, "CID_MY_EARLY", ""}
	SetCustomCommands([]Command{order, early})
	if got := CustomCommands(); !slices.Equal(got, []Command{early, order}) {
		t.Errorf("custom commands are %v", got)
	}
	if all := KnownCommands(); len(all) != len(Commands)+2 || !slices.IsSortedFunc(all, func(a, b Command) int { return int(a.ID) - int(b.ID) }) || all[len(all)-1] != order {
		t.Errorf("known commands are %v", all)
	}
	if c, ok := CommandByID(0x0901); !ok || c != order {
		t.Errorf("0x0901 is %v, %t", c, ok)
	}
	if c, ok := CommandByName("CID_MY_EARLY"); !ok || c != early {
		t.Errorf("CID_MY_EARLY is %v, %t", c, ok)
	}
	for id, own := range map[CommandID]bool{0x0901: true, 0x0735: true, CID_MSG_DATA: false, 0x0902: false, 0: false} {
		if id.IsCustom() != own {
			t.Errorf("%v: IsCustom is %t", id, !own)
		}
	}
	if got := CommandID(0x0901).String(); got != "CID_MY_ORDER" {
		t.Errorf("0x0901 is called %s", got)
	}
	SetCustomCommands(nil)
	if _, ok := CommandByName("CID_MY_ORDER"); ok || CommandID(0x0901).String() != "0x0901" || len(KnownCommands()) != len(Commands) {
		t.Error("a custom command is still known")
	}
}
