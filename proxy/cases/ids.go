package cases

import (
	"fmt"
	"math"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// commandID reads a command: a name, or an id as a text or a number.
func commandID(value any) (pdu.CommandID, *FieldError) {
	if n, ok := value.(int64); ok {
		id, wrong := idOf(n, "command")
		return pdu.CommandID(id), wrong
	}
	text, _ := value.(string)
	id, problem := command.ID(text)
	return id, fieldError(problem)
}

// serviceID reads a service: a name, or an id as a text or a number.
func serviceID(value any) (pdu.ServiceID, *FieldError) {
	if n, ok := value.(int64); ok {
		id, wrong := idOf(n, "service")
		return pdu.ServiceID(id), wrong
	}
	text, _ := value.(string)
	id, problem := command.Service(text)
	return id, fieldError(problem)
}

func idOf(n int64, what string) (uint16, *FieldError) {
	if n < 0 || n > math.MaxUint16 {
		return 0, &FieldError{What: fmt.Sprintf("%d is no %s id", n, what), Remedy: "ids go from 0x0000 to 0xffff"}
	}
	return uint16(n), nil
}

func fieldError(problem *command.Problem) *FieldError {
	if problem == nil {
		return nil
	}
	return &FieldError{What: problem.What, Remedy: problem.Remedy}
}
