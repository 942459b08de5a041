package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"switchyard/proxy/config"
)

// An account keeps the hubs of one cluster apart from everything else on the bus. What signs what:
//
//	operator ──▶ system account    of the servers themselves
//	        └──▶ account of hubs ──▶ user, whose key is in hub.creds
//
// The servers know the operator's public key and both accounts (accounts.conf); a hub proves that it
// has the user's key. The other private keys are forgotten at once, so nobody can make a second user
// later.

// Files that accountCommand writes.
const (
	accountsFile    = "accounts.conf"
	credentialsFile = "hub.creds"
)

// accountCommand returns the command that makes an account.
func accountCommand() *cobra.Command {
	var cluster, out string
	c := &cobra.Command{
		Use:   "account --cluster NAME --out FOLDER",
		Short: "Make an account for the hubs of a cluster, and their credentials",
		Long: "Make an account for the hubs of a cluster: " + accountsFile + " for --accounts of all servers, and\n" +
			credentialsFile + " for the key cluster.credentials of all hubs. The hubs may use the subjects of their\n" +
			"cluster and JetStream, nothing else. The keys that signed the account are not kept: to\n" +
			"replace the credentials, make another account.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return makeAccount(cluster, out) },
	}
	c.Flags().StringVar(&cluster, "cluster", "", "`name` of the cluster, as in the key cluster.name of the hubs")
	c.Flags().StringVar(&out, "out", ".", "`folder` for the files")
	return c
}

// makeAccount writes both files. It overwrites none: the hubs that use a file would be locked out.
func makeAccount(cluster, out string) error {
	if !config.IsClusterName(cluster) {
		return usage("--cluster %q: write the [cluster] name of the hubs, of a-z, 0-9 and -", cluster)
	}
	accounts, credentials, err := account(cluster)
	if err != nil {
		return codedError{exitInternal, fmt.Errorf("make an account: %w", err)}
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{accountsFile, accounts}, {credentialsFile, credentials}} {
		if err := create(filepath.Join(out, f.name), f.text); err != nil {
			return codedError{exitForced, fmt.Errorf("write the account: %w", err)}
		}
	}
	return nil
}

// create writes a new file that only its owner can read.
func create(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Close()
}

// account returns the content of both files: an operator that signed a system account and the account
// of the hubs, and the credentials of a user of the latter. It does no I/O.
func account(cluster string) (accounts, credentials []byte, err error) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return nil, nil, err
	}
	defer operator.Wipe()
	system, _, err := keys(nkeys.CreateAccount)
	if err != nil {
		return nil, nil, err
	}
	hubs, hubsKey, err := keys(nkeys.CreateAccount)
	if err != nil {
		return nil, nil, err
	}
	user, userKey, err := keys(nkeys.CreateUser)
	if err != nil {
		return nil, nil, err
	}
	operatorID, err := operator.PublicKey()
	if err != nil {
		return nil, nil, err
	}

	oc := jwt.NewOperatorClaims(operatorID)
	oc.Name = "switchyard"
	oc.SystemAccount = system
	sc := jwt.NewAccountClaims(system)
	sc.Name = "system"
	ac := jwt.NewAccountClaims(hubs)
	ac.Name = cluster
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: 0, Streams: jwt.NoLimit, Consumer: 0}
	uc := jwt.NewUserClaims(user)
	uc.Name = cluster
	uc.Permissions = permissions(cluster)

	var tokens [4]string
	for i, sign := range []struct {
		claims jwt.Claims
		by     nkeys.KeyPair
	}{{oc, operator}, {sc, operator}, {ac, operator}, {uc, hubsKey}} {
		if tokens[i], err = sign.claims.Encode(sign.by); err != nil {
			return nil, nil, err
		}
	}
	seed, err := userKey.Seed()
	if err != nil {
		return nil, nil, err
	}
	if credentials, err = jwt.FormatUserConfig(tokens[3], seed); err != nil {
		return nil, nil, err
	}
	text := fmt.Sprintf("# The account of the hubs of cluster %s.\noperator: %s\nresolver: MEMORY\nresolver_preload: {\n  # system\n  %s: %s\n  # hubs\n  %s: %s\n}\n",
		cluster, tokens[0], system, tokens[1], hubs, tokens[2])
	return []byte(text), credentials, nil
}

// keys makes a key pair, and returns its public key as well.
func keys(create func() (nkeys.KeyPair, error)) (public string, pair nkeys.KeyPair, err error) {
	if pair, err = create(); err != nil {
		return "", nil, err
	}
	public, err = pair.PublicKey()
	return public, pair, err
}

// permissions are what a hub needs: the subjects of its cluster, and JetStream's interface for the
// streams of its account. package jetstream uses no other subject; add one here first, or hubs with
// an account cannot use it.
func permissions(cluster string) jwt.Permissions {
	own := "sy." + cluster + ".>"
	allowed := jwt.StringList{own, "$JS.API.DIRECT.GET.*"}
	for _, verb := range []string{"INFO", "CREATE", "DELETE", "MSG.GET"} {
		allowed = append(allowed, "$JS.API.STREAM."+verb+".*")
	}
	return jwt.Permissions{Pub: jwt.Permission{Allow: allowed}, Sub: jwt.Permission{Allow: jwt.StringList{own}}}
}
