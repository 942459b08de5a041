package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/contexts"
)

// How a command finds the server that it asks, the first of these that there is:
//
//	--server ADDRESS      the admin interface there
//	--context NAME        that of 'switchyard context add'
//	$SWITCHYARD_SERVER, $SWITCHYARD_CONTEXT
//	--config, --set       the server of that configuration, on this machine
//	the current context   of 'switchyard context use'
//	                      the server of the configuration, on this machine
//
// The token is that of --token-file, else of the context, else of $SWITCHYARD_ADMIN_TOKEN_FILE, else,
// on this machine, of the configuration. A context's own goes before the variable, which may be meant
// for another server.

// Environment variables, beside client.TokenVariable.
const (
	serverVariable  = "SWITCHYARD_SERVER"
	contextVariable = "SWITCHYARD_CONTEXT"
)

// A serverChoice is what the flags say about the server to ask.
type serverChoice struct {
	server, context, tokenFile string
	operate                    bool // the command needs the right to operate
}

// serverFlags adds the flags for the server to ask. operate: the command needs the right to operate,
// so the token is by default that of admin.operate_token_file.
func (o *options) serverFlags(c *cobra.Command, operate bool) {
	o.chosen.addTo(c, operate)
	c.RegisterFlagCompletionFunc("context", o.completeContexts)
}

func (s *serverChoice) addTo(c *cobra.Command, operate bool) {
	key := "admin.read_token_file"
	if operate {
		key = "admin.operate_token_file"
	}
	f := c.Flags()
	f.StringVar(&s.server, "server", "", "`ADDRESS` of the server to ask, such as https://hub.example.org:8281 or unix:/run/switchyard/admin.sock (default $"+serverVariable+", else that of the context or configuration)")
	f.StringVar(&s.context, "context", "", "`NAME` of the context that says which server to ask, and how (default $"+contextVariable+", else that of 'switchyard context use')")
	f.StringVar(&s.tokenFile, "token-file", "", "`FILE` with the token, if the server requires one (default the context's, else $"+client.TokenVariable+", else "+key+")")
	c.PreRun = func(*cobra.Command, []string) { s.operate = operate }
}

// connect returns a client of the server to ask.
func (o *options) connect() (*client.Client, error) {
	target, err := o.serverTarget()
	if err != nil {
		return nil, err
	}
	conn, err := client.Connect(target)
	return conn, serverError(err)
}

// serverTarget finds the server to ask.
func (o *options) serverTarget() (client.Target, error) {
	s := &o.chosen
	if s.server != "" && s.context != "" {
		return client.Target{}, usageError{errors.New("--server and --context both name a server; keep one")}
	}
	server, name := s.server, s.context
	if server == "" && name == "" {
		if server = o.variable(serverVariable); server == "" {
			name = o.variable(contextVariable)
		}
	}
	if server != "" {
		return o.contextTarget("--server", contexts.Context{Server: server})
	}
	// A configuration on the command line selects the server that runs with it. The current context
	// does not count then.
	if name == "" && o.config == "" && len(o.set) == 0 {
		file, err := o.contexts()
		if err != nil {
			return client.Target{}, err
		}
		name = file.Current
	}
	if name == "" || name == contexts.Local {
		return o.localTarget()
	}
	file, err := o.contexts()
	if err != nil {
		return client.Target{}, err
	}
	c, err := file.Find(name)
	if err != nil {
		return client.Target{}, usageError{err}
	}
	return o.contextTarget("context "+name, c)
}

// contextTarget returns how to reach the server of a context. An error begins with what named it.
// Files of tokens that every user can read are refused: they are those of this user.
func (o *options) contextTarget(named string, c contexts.Context) (client.Target, error) {
	e, err := contexts.Parse(c.Server)
	if err != nil {
		return client.Target{}, usageError{fmt.Errorf("%s: %w", named, err)}
	}
	t := client.Target{Socket: e.Socket, Address: e.Address, TokenFile: o.chosen.tokenFile}
	if t.TokenFile == "" {
		t.TokenFile = c.TokenFile
	}
	if t.TokenFile == "" {
		t.TokenFile = o.variable(client.TokenVariable)
	}
	if t.TLS, err = c.TLSConfig(); err == nil {
		err = contexts.CheckPrivate(t.TokenFile)
	}
	if err != nil {
		return t, usageError{fmt.Errorf("%s: %w", named, err)}
	}
	return t, nil
}

// localTarget returns how to reach the server of the configuration. Package client prefers its
// socket, which needs no token, so that root can always operate it.
func (o *options) localTarget() (client.Target, error) {
	c, _, err := o.load()
	if err != nil {
		return client.Target{}, err
	}
	t := client.Target{Socket: c.File(c.Admin.Socket), Address: c.Admin.Address, TokenFile: o.chosen.tokenFile}
	if certificate := c.File(c.Admin.TLS.Certificate); certificate != "" && c.Admin.Address != "" {
		if t.Address, _, err = reachable("admin", c.Admin.Address, "--server"); err != nil {
			return t, usageError{err}
		}
		// Its certificate is here, so it is trusted without its CA.
		if t.TLS, err = (contexts.Context{Server: "https://" + t.Address, CA: certificate, ServerName: nameIn(certificate)}).TLSConfig(); err != nil {
			return t, usageError{fmt.Errorf("admin.tls: %w", err)}
		}
	}
	if t.TokenFile == "" {
		t.TokenFile = o.variable(client.TokenVariable)
	}
	if t.TokenFile == "" && o.chosen.operate {
		t.TokenFile = c.File(c.Admin.OperateTokenFile)
	}
	if t.TokenFile == "" {
		t.TokenFile = c.File(c.Admin.ReadTokenFile)
	}
	return t, nil
}

// contexts reads the user's contexts.
func (o *options) contexts() (*contexts.File, error) {
	file, err := contexts.Read(contexts.Path(o.variable))
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// variable returns the value of an environment variable, the last one if it is set twice.
func (o *options) variable(name string) (value string) {
	for _, entry := range o.env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// ask sends a request to the server and returns its answer. A signal ends the wait for it; what the
// server has begun continues. exit gives an error of the request the type that has its exit code.
func ask[T any](o *options, c *cobra.Command, exit func(error) error, request func(context.Context, *client.Client) (T, error)) (answer T, err error) {
	conn, err := o.connect()
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	answer, err = request(ctx, conn)
	return answer, exit(err)
}

// stateError is serverError, except that a refusal with one of these statuses means that the request
// does not fit the state of the server. The command line is right then, so the exit code is 1.
func stateError(err error, statuses ...int) error {
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && slices.Contains(statuses, refusal.Status) {
		return errors.New(refusal.Error())
	}
	return serverError(err)
}

// serverError wraps an error of package client in the type that has its exit code: the
// command line is wrong, or the server is unavailable.
func serverError(err error) error {
	switch {
	case err == nil:
		return nil
	case is[*client.Refusal](err):
		return usageError{err}
	default:
		return unavailableError{err}
	}
}
