package auth

import "github.com/mileusna/useragent"

// ClientName returns what the program of the session calls itself, in words such as "Firefox on Linux", or nil
// where that is not known. Anybody can call a program anything.
func (s *Session) ClientName() *string { return clientName(s.UserAgent) }

// ClientName is that of the program which did it, as of a Session.
func (e *Event) ClientName() *string { return clientName(e.UserAgent) }

func clientName(header *string) *string {
	if header == nil {
		return nil
	}
	agent := useragent.Parse(*header)
	name, system := agent.Name, agent.OS
	if agent.Device != "" { // "iPhone" says more than "iOS"
		system = agent.Device
	}
	switch {
	case name == "":
		return optional(system)
	case system != "":
		name += " on " + system
	}
	return &name
}
