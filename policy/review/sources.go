package review

import (
	"slices"

	"switchyard/pdu"
)

// maxSources bounds the places that one decision names.
const maxSources = 4

// explain completes the decision about the commands from first to last: where its rules are written,
// and which cases they have.
func (t *Table) explain(d *Decision, first, last pdu.CommandID, scope Scope) {
	d.Sources = t.sources(first, last, scope)
	if service, ok := t.exampleFor(first, scope); ok && d.Decided != Constant {
		d.Cases = t.ruler.Rule(service, first).Cases
	}
}

// sources returns where the rules are written that decide about the commands from first to last,
// in the order of the ids, for one service of the scope.
func (t *Table) sources(first, last pdu.CommandID, scope Scope) (places []string) {
	service, ok := t.exampleFor(first, scope)
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
	if i < 0 || t.ruler == nil {
		return 0, false
	}
	return t.services[i], true
}

// exampleFor is example, but prefers the own service of a known command.
func (t *Table) exampleFor(c pdu.CommandID, scope Scope) (pdu.ServiceID, bool) {
	service, ok := t.example(scope)
	if known, is := pdu.CommandByID(c); is && scope.Has(known.Service) {
		service = known.Service
	}
	return service, ok
}

func (t *Table) addSource(places []string, s pdu.ServiceID, c pdu.CommandID) []string {
	if place := t.ruler.Rule(s, c).Source; place != "" && !slices.Contains(places, place) {
		return append(places, place)
	}
	return places
}
