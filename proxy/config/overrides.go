package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"switchyard/policy/suggest"
)

// envPrefix is the prefix of Switchyard's environment variables. A key's variable is its
// name in capitals with two underscores for each dot: SWITCHYARD_PEER__TIMEOUT. Hyphens in the
// names of tenants and groups become single underscores. Of variables without two underscores, only
// those that resemble a key are faults: orchestrators set others for a service of this name.
const envPrefix = "SWITCHYARD_"

// environment assigns the values of variables, each "NAME=value".
func (r *reader) environment(env []string) {
	for _, entry := range env {
		variable, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(variable, envPrefix)
		place := Place{Source: "environment " + variable}
		if !ours {
			continue
		}
		if !strings.Contains(name, "__") {
			if meant := r.resembled(name); meant != "" {
				r.fault(place, "this variable sets nothing; did you mean %s? Two underscores stand for each dot of a key", meant)
			}
			continue
		}
		if k, ok := r.keys[keyOfVariable(name)]; ok {
			r.assign(k, place, k.setText(value))
		} else {
			r.unknown(place, keyOfVariable(name))
		}
	}
}

// resembled returns the variable that one without two underscores was probably meant for, or
// "" if it does not begin with the name of a section, or resembles none of its keys. To compare them, the
// keys are spelled as somebody would who knows of one underscore only: peer.write_timeout is
// peer_write_timeout.
func (r *reader) resembled(name string) string {
	section, rest, _ := strings.Cut(strings.ToLower(name), "_")
	if rest == "" || name == clientToken || orchestrated.MatchString(name) || !r.sections[section] && section != "tenant" {
		return ""
	}
	variables := make(map[string]string) // by the key with single underscores
	for _, key := range r.candidates(section + "." + strings.ReplaceAll(rest, "_", ".")) {
		if _, ok := r.keys[key]; ok && strings.HasPrefix(key, section+".") {
			variables[strings.NewReplacer(".", "_", "-", "_").Replace(key)] = variableOf(key)
		}
	}
	return variables[suggest.Word(section+"_"+rest, slices.Sorted(maps.Keys(variables)))]
}

// clientToken is the variable with which clients of the admin interface are configured.
const clientToken = "ADMIN_TOKEN_FILE"

// orchestrated matches the variables that Docker and Kubernetes set for a service whose name
// begins as this program's.
var orchestrated = regexp.MustCompile(`(^|_)(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP).*)?|NAME|ENV_.*)$`)

// variableOf returns the variable of a key.
func variableOf(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "__", "-", "_").Replace(key))
}

// keyOfVariable is the inverse of variableOf, for the part behind the prefix. Names of tenants and
// groups have no underscores, so each one in them stands for a hyphen:
//
//	TENANT__ACME_EU__POLICY                       tenant.acme-eu.policy
//	TENANT__ACME__GROUP__EAST_1__SERVER_NAMES     tenant.acme.group.east-1.server_names
func keyOfVariable(name string) string {
	parts := strings.Split(strings.ToLower(name), "__")
	if parts[0] == "tenant" {
		parts[1] = strings.ReplaceAll(parts[1], "_", "-")
		if len(parts) > 3 && parts[2] == sectionGroup {
			parts[3] = strings.ReplaceAll(parts[3], "_", "-")
		}
	}
	return strings.Join(parts, ".")
}

// flags assigns values by dotted key.
func (r *reader) flags(overrides map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		place := Place{Source: "--set " + name}
		if k, ok := r.keys[name]; ok {
			r.assign(k, place, k.setText(overrides[name]))
		} else {
			r.unknown(place, name)
		}
	}
}

// unknown notes a fault of a name that is none of a key.
func (r *reader) unknown(place Place, name string) {
	if !r.sections[name] {
		r.fault(place, "unknown key %q; %s", name, r.suggest(name))
		return
	}
	var keys []string
	for key := range r.keys {
		if strings.HasPrefix(key, name+".") {
			keys = append(keys, key)
		}
	}
	r.fault(place, "%q is a table; set one of its keys, such as %s", name, slices.Min(keys))
}
