package cases

import (
	"fmt"
	"math"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// commandID reads a command: a name, or an id as a text or a number.
func commandID(value any) (pdu.CommandID, *FieldError) {
	return readID(value, "command", command.ID)
}

// serviceID reads a service: a name, or an id as a text or a number.
func serviceID(value any) (pdu.ServiceID, *FieldError) {
	return readID(value, "service", command.Service)
}

// readID reads the id of a command or a service; parse reads a text.
func readID[ID ~uint16](value any, what string, parse func(string) (ID, *command.Problem)) (ID, *FieldError) {
	n, isNumber := value.(int64)
	if !isNumber {
		text, _ := value.(string)
		id, problem := parse(text)
		return id, fieldError(problem)
	}
	if n < 0 || n > math.MaxUint16 {
		return 0, &FieldError{What: fmt.Sprintf("%d is not a %s id", n, what), Remedy: "ids go from 0x0000 to 0xffff"}
	}
	return ID(n), nil
}

func fieldError(problem *command.Problem) *FieldError {
	if problem == nil {
		return nil
	}
	return &FieldError{What: problem.What, Remedy: problem.Remedy}
}
