package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu/message"
	"switchyard/policy/command"
	"switchyard/proxy/admin/api"
)

// command answers what a command's body consists of, so that forms can offer its fields.
func (s *Server) command(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, nil, "command")
	if err != nil {
		return err
	}
	id, problem := command.ID(q.Get("command"))
	if problem != nil {
		return fmt.Errorf("command: %w", problem)
	}
	a := api.Command{Command: id.String(), ID: uint16(id), Service: id.Service().String(), Fields: []api.Field{}}
	if t := message.Type(id); t != nil {
		a.Message, a.Fields = string(t.Descriptor().FullName()), fieldsOf(t.Descriptor())
	}
	return answer(w, http.StatusOK, a)
}

// fieldsOf describes the fields of a message, in the order of their numbers.
func fieldsOf(m protoreflect.MessageDescriptor) []api.Field {
	fields := []api.Field{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		one := api.Field{Name: string(f.Name()), Number: int(f.Number()), Type: f.Kind().String(), Repeated: f.IsList(), Required: f.Cardinality() == protoreflect.Required}
		if e := f.Enum(); e != nil {
			one.Values = make(map[string]int)
			for v := range e.Values().Len() {
				one.Values[string(e.Values().Get(v).Name())] = int(e.Values().Get(v).Number())
			}
		}
		fields = append(fields, one)
	}
	slices.SortFunc(fields, func(a, b api.Field) int { return cmp.Compare(a.Number, b.Number) })
	return fields
}
