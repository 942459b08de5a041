package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	tenantName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	policyName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)
)

func checkTenantName(name string) error {
	if !tenantName.MatchString(name) {
		return fmt.Errorf("%q is not a tenant's name; write 1 to 40 of a-z, 0-9 and -", name)
	}
	return nil
}

func checkPolicy(policy string) error {
	path, isFile := strings.CutPrefix(policy, filePolicy)
	switch {
	case isFile && path == "":
		return fmt.Errorf("%q names no file; write a path after it, such as %q", policy, filePolicy+"routes.toml")
	case isFile && strings.ContainsRune(path, 0):
		return fmt.Errorf("%q is not a path", policy)
	case isFile || policyName.MatchString(policy):
		return nil
	case strings.ContainsAny(policy, `./\`):
		return fmt.Errorf("%q is not a shipped policy's name; for a file write %q", policy, filePolicy+policy)
	}
	return fmt.Errorf("%q is not a policy; write a shipped policy's name, such as \"teamtalk\", or a file, such as %q", policy, filePolicy+"routes.toml")
}

// checkAudit takes a policy, or nothing.
func checkAudit(policy string) error {
	if policy == "" {
		return nil
	}
	return checkPolicy(policy)
}

// checkFolder takes any path, or nothing.
func checkFolder(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("%q is not a path", path)
	}
	return nil
}

func checkAddress(address string) error {
	const remedy = `write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address; %s", address, remedy)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has port %q; write a number from 0 (any free one) to 65535", address, port)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName.MatchString(host) {
		return fmt.Errorf("%q has host %q; %s", address, host, remedy)
	}
	return nil
}

// checkAdminAddress takes loopback addresses alone: whoever reaches the address can
// see what peers say.
func checkAdminAddress(address string) error {
	if address == "" {
		return nil
	}
	if err := checkAddress(address); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost") {
		return nil
	}
	return fmt.Errorf("%q can be reached from other machines, and whoever reaches it is trusted; write a loopback address, such as \"127.0.0.1:8280\", or \"\" for none", address)
}

// check finds the faults that lie between keys.
func (r *reader) check() {
	r.checkListeners()
	for _, t := range r.config.Tenants {
		r.checkLag(t)
	}
	if memory := r.config.WASM.Memory; memory%(64*kibibyte) != 0 {
		r.fault(r.place("wasm.memory"), "wasm.memory: %s is not whole pages; write a multiple of 64KiB", memory)
	}
}

func (r *reader) checkListeners() {
	seen := make(map[string]string) // address: what has it
	if admin := r.config.Admin.Address; admin != "" && r.sound("admin.address") {
		if address := normalAddress(admin); !strings.HasSuffix(address, ":0") {
			seen[address] = "admin.address"
		}
	}
	for i, l := range r.config.Listeners {
		name := fmt.Sprintf("listener.%d", i)
		if _, known := r.config.Tenant(l.Tenant); !known && r.sound(name+".tenant") && !r.badTenants {
			r.fault(r.place(name+".tenant", name), "%s.tenant: there is no tenant %q; %s", name, l.Tenant, r.tenantRemedy(name, l.Tenant))
		}
		if !r.sound(name + ".address") {
			continue
		}
		if l.Address == "" {
			r.fault(r.place(name), "%s has no address; write one, such as address = \"127.0.0.1:8200\"", name)
			continue
		}
		address := normalAddress(l.Address)
		if other, ok := seen[address]; ok {
			r.fault(r.place(name+".address", "admin.address"), "%s.address: %s has %q already; write another", name, other, l.Address)
		} else if !strings.HasSuffix(address, ":0") {
			seen[address] = name
		}
	}
}

func (r *reader) tenantRemedy(listener, tenant string) string {
	var names []string
	for _, t := range r.config.Tenants {
		names = append(names, t.Name)
	}
	remedy := fmt.Sprintf("add [tenant.%s], or name one of: %s", tenant, strings.Join(names, ", "))
	if _, written := r.places[listener]; !written {
		remedy = "add a [[listener]], as the one that is the default is for that; there are the tenants " + strings.Join(names, ", ")
	}
	return remedy
}

// normalAddress spells equal addresses alike. The address is a valid one.
func normalAddress(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(strings.ToLower(host), strconv.Itoa(n))
}

func (r *reader) checkLag(t Tenant) {
	limits := "tenant." + t.Name + ".limits"
	hard, soft, pdu := limits+".lag_hard", limits+".lag_soft", "peer.max_pdu"
	if r.sound(hard, soft) && t.Limits.LagSoft >= t.Limits.LagHard {
		r.fault(r.place(soft, hard), "%s: %s is not below lag_hard, %s, so it would never matter; lower it or raise lag_hard",
			soft, t.Limits.LagSoft, t.Limits.LagHard)
	}
	if r.sound(hard, pdu) && t.Limits.LagHard <= r.config.Peer.MaxPDU {
		r.fault(r.place(hard, pdu), "%s: %s is not above %s, %s, so one large PDU would close every peer that it is sent to; raise it or lower %s",
			hard, t.Limits.LagHard, pdu, r.config.Peer.MaxPDU, pdu)
	}
}
