package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A family is one metric with all of its labels' values.
type family struct {
	name string
	kind prometheus.ValueType
	desc *prometheus.Desc
}

// families are all that there are.
var families []*family

func define(kind prometheus.ValueType, name, help string, labels ...string) *family {
	name = "switchyard_" + name
	f := &family{name, kind, prometheus.NewDesc(name, help, labels, nil)}
	families = append(families, f)
	return f
}

func counter(name, help string, labels ...string) *family {
	return define(prometheus.CounterValue, name, help, labels...)
}

func gauge(name, help string, labels ...string) *family {
	return define(prometheus.GaugeValue, name, help, labels...)
}

// clean makes a label's value one that Prometheus takes.
func clean(value string) string { return strings.ToValidUTF8(value, "\uFFFD") }

// Of the process.
var (
	buildInfo         = gauge("build_info", "What runs; always 1.", "version", "revision", "goversion", "wazero")
	draining          = gauge("draining", "Whether the server stops: 1 if it does.")
	configReloads     = counter("config_reloads_total", "Readings of the configuration since the start, by what came of them: done or refused.", "result")
	configSuccessful  = gauge("config_last_reload_successful", "Whether the last reading of the configuration was not refused: 1 if so.")
	configSuccessTime = gauge("config_last_reload_success_timestamp_seconds", "When the configuration was last read and not refused.")
)

// Of a tenant's connections.
var (
	connections       = gauge("connections", "Sessions that there are.", "tenant")
	connectionsLimit  = gauge("connections_limit", "Sessions that there may be; 0 is any number.", "tenant")
	connectionsPaused = gauge("connections_paused", "Sessions that are not read from now, for a quota or a full log.", "tenant")
	connectionsOpened = counter("connections_opened_total", "Sessions that have begun.", "tenant")
	connectionsClosed = counter("connections_closed_total", "Sessions that have ended, by why.", "tenant", "reason")
)

// Of what its peers say.
var (
	pdusReceived  = counter("pdus_received_total", "PDUs from peers.", "tenant")
	bytesReceived = counter("received_bytes_total", "Bytes of PDUs from peers, headers included.", "tenant")
	pdusByAction  = counter("pdus_total", "PDUs from peers that were judged, by command and by what the verdict does.", "tenant", "command", "action")
	bytesBy       = counter("command_received_bytes_total", "Bytes of PDUs from peers that were judged, headers included, by command.", "tenant", "command")
	pdusAccepted  = counter("pdus_accepted_total", "PDUs from peers that were not dropped, by what was done; with those dropped, all that were received.", "tenant", "action")
	pdusDropped   = counter("pdus_dropped_total", "PDUs from peers that were dropped, by why.", "tenant", "reason")
	pdusMade      = counter("pdus_made_total", "PDUs of the server's own: notices, answers, heartbeats.", "tenant")
	slowed        = counter("senders_slowed_total", "How often a peer was not read from for a while, by why.", "tenant", "reason")
	slowedSeconds = counter("senders_slowed_seconds_total", "How long peers were not read from for a while, of the times that are over, by why.", "tenant", "reason")
)

// Of what they are sent.
var (
	copiesDue       = counter("copies_due_total", "Copies of PDUs that became due to peers: those delivered, pending and discarded.", "tenant")
	copiesDelivered = counter("copies_delivered_total", "Copies of PDUs written whole.", "tenant")
	copiesDiscarded = counter("copies_discarded_total", "Copies of PDUs that were due when their session ended, by why it did.", "tenant", "reason")
	copiesPending   = gauge("copies_pending", "Copies of PDUs due to peers that are there, not written yet.", "tenant")
	bytesSent       = counter("sent_bytes_total", "Bytes written to peers.", "tenant")
	lagMax          = gauge("lag_max_bytes", "How far the peer furthest behind is behind.", "tenant")
	lagSum          = gauge("lag_bytes", "How far all peers are behind together.", "tenant")
	logBytes        = gauge("log_bytes", "Memory of what is kept for all peers.", "tenant")
	logLimit        = gauge("log_limit_bytes", "Memory that what is kept for all peers may take; 0 is any amount.", "tenant")
	probeSeconds    = gauge("probe_seconds", "How long a PDU of the server's own took through the tenant's log lately, or takes by now.", "tenant")
)

// Of presence and policies.
var (
	users          = gauge("presence_users", "Users that are present.", "tenant")
	entries        = gauge("presence_entries", "Users that are present, each counted once for each peer that holds it.", "tenant")
	policyInfo     = gauge("policy_info", "The policy in force; always 1.", "tenant", "name", "sha256")
	policyReloads  = counter("policy_reloads_total", "Policies that came into force, the first included, or were refused.", "tenant", "result")
	policyLoad     = gauge("policy_load_seconds", "How long loading the policy in force took; 0 if that is not known.", "tenant")
	policyFaults   = counter("policy_faults_total", "How often the tenant's policies failed to decide, by kind.", "tenant", "kind")
	signatureUntil = gauge("policy_signature_expires_timestamp_seconds", "When the signature of the policy in force expires.", "tenant")
)

// Of listeners.
var (
	accepted         = counter("listener_accepted_total", "Connections that arrived.", "listener")
	refused          = counter("listener_refused_total", "Connections that arrived and were refused, by why.", "listener", "reason")
	handshaking      = gauge("listener_handshaking", "Connections on the way to a tenant.", "listener")
	open             = gauge("listener_connections", "Connections that came in here and are served.", "listener")
	sources          = gauge("listener_sources", "Source addresses that are remembered.", "listener")
	certificateUntil = gauge("tls_certificate_not_after_timestamp_seconds", "When the listener's certificate expires.", "listener")
)
