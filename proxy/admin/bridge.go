package admin

import "switchyard/proxy/admin/api"

// Names of package api under which the server's command still knows them.
type (
	Policy              = api.Policy
	PolicyEvent         = api.PolicyEvent
	Signature           = api.Signature
	Reload              = api.Reload
	ReloadConfiguration = api.ReloadConfiguration
	ReloadListener      = api.ReloadListener
	ReloadTenant        = api.ReloadTenant
)

const (
	Added     = api.Added
	Changed   = api.Changed
	Unchanged = api.Unchanged
	Refused   = api.Refused
	Removed   = api.Removed
	Plain     = api.Plain
)
