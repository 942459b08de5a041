package command

import (
	"fmt"
	"strings"

	"switchyard/pdu"
	"switchyard/policy/suggest"
)

// Service reads a service, by name or by id.
func Service(word string) (pdu.ServiceID, *Problem) {
	if id, ok := serviceIDs[word]; ok {
		return id, nil
	}
	if !IsNumeric(word) {
		return 0, &Problem{fmt.Sprintf("unknown service %q", word),
			suggest.Hint(word, serviceNames, "services are "+strings.Join(serviceNames, ", "))}
	}
	id, remedy := ParseID(word)
	if remedy != "" {
		return 0, &Problem{fmt.Sprintf("%q is not a service id", word), remedy}
	}
	return pdu.ServiceID(id), nil
}

var serviceNames, serviceIDs = func() (names []string, ids map[string]pdu.ServiceID) {
	ids = map[string]pdu.ServiceID{}
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		names = append(names, id.String())
		ids[id.String()] = id
	}
	return names, ids
}()
