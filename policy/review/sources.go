package review

import (
	"slices"

	"switchyard/pdu"
)

// maxSources bounds the places that one decision names.
const maxSources = 4

// sources returns where the rules are written that decide about the commands from first to last,
// in the order of the ids, for one service of the scope: a known command's own if it is there.
func (t *Table) sources(first, last pdu.CommandID, scope Scope) (places []string) {
	service, ok := t.example(scope)
	if known, is := pdu.CommandByID(first); is && scope.Has(known.Service) {
		service = known.Service
	}
	for c := uint32(first); ok && c <= uint32(last) && len(places) < maxSources; c++ {
		places = t.addSource(places, service, pdu.CommandID(c))
	}
	return places
}

// restSources returns where the rule is written that gives most unknown commands that answer.
func (t *Table) restSources(a answer, scope Scope) []string {
	service, ok := t.example(scope)
	i := slices.Index(t.services, service)
	for c := pdu.CommandID(0); ok && c < protocolCommands; c++ {
		if _, known := pdu.CommandByID(c); !known && t.answers(c)[i] == a {
			return t.addSource(nil, service, c)
		}
	}
	return nil
}

// example returns the first service of a scope, if it is known where rules are written.
func (t *Table) example(scope Scope) (pdu.ServiceID, bool) {
	i := slices.IndexFunc(t.services, scope.Has)
	if i < 0 || t.sourcer == nil {
		return 0, false
	}
	return t.services[i], true
}

func (t *Table) addSource(places []string, s pdu.ServiceID, c pdu.CommandID) []string {
	if place := t.sourcer.Source(s, c); place != "" && !slices.Contains(places, place) {
		return append(places, place)
	}
	return places
}
