package api

import "time"

// The answer to /api/v1/server.

// A Server is the process that answers, and what the client may do to it.
type Server struct {
	Version       string        `json:"version"`
	Host          string        `json:"host"` // its name, by the operating system
	PID           int           `json:"pid"`
	Started       time.Time     `json:"started"`
	UptimeSeconds float64       `json:"uptime_seconds"`
	Draining      bool          `json:"draining"`
	Right         string        `json:"right"` // of the client that asks: read or operate
	Configuration Configuration `json:"configuration"`
}

// A Configuration is the state of the configuration's file.
type Configuration struct {
	File    string    `json:"file"`    // its path; empty if the defaults are in force
	Since   time.Time `json:"since"`   // when it was last read and accepted
	Error   string    `json:"error"`   // why the file that is there now is refused; empty if it is in force
	Restart []string  `json:"restart"` // keys that were changed since the start, and wait for a restart
}
