package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"

	"switchyard/proxy/config"
)

// The flags say what differs from one server to another. Everything else that a hub relies on is set
// here, so that no server of a bus can lack it:
//
//	check ─▶ options ─▶ readAccounts   who may connect, from a file
//	                └─▶ tls            certificates, checked by nats-server's own function
//	                └─▶ join           the other servers, if there are any
//
// Settings of the server that hubs rely on, or that make it notice dead connections soon.
const (
	maxPayload   = 1 << 20 // bytes; hubs send records of 256 KiB and chunks of state of 512 KiB
	peerPing     = 2 * time.Second
	hubPing      = 10 * time.Second
	pingsOut     = 2
	handOver     = 10 * time.Second // in which hubs are told to go elsewhere
	handOverWait = time.Second      // before the first of them is disconnected
)

// settings are what the command line says.
type settings struct {
	name, listen, store  string
	memory               size
	cluster, peerListen  string
	peers                []string
	certificate, key, ca string
	accounts             string
	monitor              string
}

// A size is a number of bytes as a flag, written as in the configuration of the hub.
type size struct{ config.Size }

func (s *size) Set(text string) error { return s.UnmarshalText([]byte(text)) }
func (s *size) Type() string          { return "size" }

// defaults returns the settings without a flag: a single server on the loopback.
func defaults() *settings {
	name, _ := os.Hostname() // without one, --name is missing
	return &settings{name: name, listen: "127.0.0.1:4222", memory: size{1 << 30}, cluster: "yardbus", peerListen: "127.0.0.1:6222"}
}

// options returns the settings of the nats-server. Its errors have the exit code of a wrong command
// line or of a faulty file.
func (s *settings) options() (*server.Options, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	o := &server.Options{}
	if s.accounts != "" {
		if err := readAccounts(s.accounts, o); err != nil {
			return nil, codedError{exitData, err}
		}
	}
	var err error
	o.ServerName = s.name
	if o.Host, o.Port, err = split("listen", s.listen); err != nil {
		return nil, err
	}
	if s.monitor != "" {
		if o.HTTPHost, o.HTTPPort, err = split("monitor", s.monitor); err != nil {
			return nil, err
		}
	}
	o.NoSigs = true // run receives the signals
	o.JetStream = true
	o.StoreDir = s.store
	o.JetStreamMaxMemory = int64(s.memory.Size)
	o.DisableJetStreamBanner = true
	o.MaxPayload = maxPayload
	o.PingInterval, o.MaxPingsOut = hubPing, pingsOut
	o.LameDuckDuration, o.LameDuckGracePeriod = handOver, handOverWait
	if s.certificate != "" {
		if o.TLSConfig, err = s.tls(tls.VerifyClientCertIfGiven); err != nil {
			return nil, codedError{exitData, err}
		}
		o.TLS, o.TLSTimeout = true, 5
	}
	if len(s.peers) > 0 {
		err = s.join(o)
	}
	return o, err
}

// check finds what is missing or does not go together. Beyond the loopback it insists on TLS: records
// carry what users write, and whoever can write to the bus can speak for any hub.
func (s *settings) check() error {
	switch {
	case s.name == "":
		return usage("--name is missing: a name that no other server of the bus has")
	case strings.ContainsAny(s.name, " \t.*>"):
		return usage("--name %q: a name has no blanks and none of . * >", s.name)
	case s.store == "":
		return usage("--store is missing: a folder of this server alone, such as /var/lib/yardbus")
	case s.memory.Size < 16<<20:
		return usage("--memory %v: a stream takes at least 16MiB", s.memory)
	case (s.certificate == "") != (s.key == ""):
		return usage("--certificate and --key belong together")
	case s.certificate == "" && s.ca != "":
		return usage("--ca needs --certificate and --key")
	case s.certificate == "" && !loopback(s.listen):
		return usage("--listen %s is not a loopback address, so hubs need TLS there: give --certificate and --key", s.listen)
	case len(s.peers) > 0 && !loopback(s.peerListen) && (s.certificate == "" || s.ca == ""):
		return usage("--peer-listen %s is not a loopback address, so the servers need TLS there: give --certificate, --key and --ca", s.peerListen)
	}
	return nil
}

// loopback says whether only this machine can connect to the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // split reports it
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// split reads an address of the flag.
func split(flag, address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, usage("--%s %q is not an address: write HOST:PORT", flag, address)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, usage("--%s %q has no port: write HOST:PORT with a port of 1 to 65535", flag, address)
	}
	return host, port, nil
}

// join sets what a server needs to be one of several.
func (s *settings) join(o *server.Options) (err error) {
	c := &o.Cluster
	c.Name = s.cluster
	if c.Host, c.Port, err = split("peer-listen", s.peerListen); err != nil {
		return err
	}
	c.NoAdvertise = true // hubs use the addresses that their operators gave them
	c.ConnectRetries = 1 << 30
	c.PingInterval, c.MaxPingsOut = peerPing, pingsOut
	scheme := "nats"
	if s.ca != "" {
		scheme = "tls"
		if c.TLSConfig, err = s.tls(tls.RequireAndVerifyClientCert); err != nil {
			return codedError{exitData, err}
		}
		c.TLSTimeout = 5
	}
	for _, peer := range s.peers {
		if _, _, err := split("peers", peer); err != nil {
			return err
		}
		o.Routes = append(o.Routes, &url.URL{Scheme: scheme, Host: peer})
	}
	return nil
}

// tls returns the TLS configuration with the certificate and, if there is one, the CA. Hubs may have
// a certificate; the other servers of the bus must.
func (s *settings) tls(verify tls.ClientAuthType) (*tls.Config, error) {
	c, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: s.certificate, KeyFile: s.key, CaFile: s.ca, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, fmt.Errorf("read --certificate, --key and --ca: %w", err)
	}
	if s.ca != "" {
		c.ClientAuth = verify
		c.RootCAs = c.ClientCAs // for the connections to other servers
	}
	return c, nil
}

// accountKeys are the keys of a nats-server's configuration that a file of --accounts may
// have.
var accountKeys = []string{"accounts", "authorization", "no_auth_user", "operator", "resolver", "resolver_preload", "system_account"}

// readAccounts reads the file of --accounts, which says nothing but who may connect. nats-server
// would take any of its settings from there, so others are refused: they would contradict the flags
// unseen.
func readAccounts(file string, o *server.Options) error {
	content, err := conf.ParseFile(file)
	if err != nil {
		return fmt.Errorf("read --accounts: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if !slices.Contains(accountKeys, strings.ToLower(key)) {
			return fmt.Errorf("read --accounts: %s has the key %q: the flags of yardbus say everything but %s", file, key, strings.Join(accountKeys, ", "))
		}
	}
	if err := o.ProcessConfigFile(file); err != nil {
		return fmt.Errorf("read --accounts: %w", err)
	}
	if o.TrustedOperators == nil && o.Accounts == nil && o.Users == nil && o.Nkeys == nil && o.Username == "" && o.Authorization == "" {
		return errors.New("read --accounts: " + file + " names nobody who may connect")
	}
	return nil
}
