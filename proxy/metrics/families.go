package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A family is one metric, with all values of its labels.
type family struct {
	name string
	kind prometheus.ValueType
	desc *prometheus.Desc
}

// families holds all of them, in the order of their definition. Describe lists them, so that Prometheus's
// client refuses two of one name when the program starts, and not at a scrape.
var families []*family

// define defines a family. Names follow Prometheus: base units (seconds, bytes) and _total for
// counters. No label has a value that peers choose, as each combination is a time series that
// Prometheus keeps for ever.
func define(kind prometheus.ValueType, name, help string, labels ...string) *family {
	name = "switchyard_" + name
	f := &family{name, kind, prometheus.NewDesc(name, help, labels, nil)}
	families = append(families, f)
	return f
}

func counter(name, help string, labels ...string) *family {
	return define(prometheus.CounterValue, name, help, labels...)
}

// ofDurations is the kind of a histogram, which emit does not emit. Its buckets are fixed ones, which
// every version of Prometheus reads.
const ofDurations prometheus.ValueType = -1

func gauge(name, help string, labels ...string) *family {
	return define(prometheus.GaugeValue, name, help, labels...)
}

// clean makes a label value valid UTF-8, which Prometheus requires.
func clean(value string) string { return strings.ToValidUTF8(value, "\uFFFD") }

// Of the process.
var (
	buildInfo         = gauge("build_info", "Identifies the program; always 1.", "version", "revision", "goversion", "wazero")
	draining          = gauge("draining", "1 while the server is stopping, else 0.")
	linesLost         = counter("log_lines_lost_total", "Lines of the log that were lost, as its output did not take them.")
	accessLost        = counter("access_log_lines_lost_total", "Lines of the access log that were lost, as its file did not take them.")
	configReloads     = counter("config_reloads_total", "Reloads of the configuration since the start, by result: done or refused.", "result")
	configSuccessful  = gauge("config_last_reload_successful", "1 if the last reload of the configuration was not refused, else 0.")
	historyEntries    = gauge("history_entries", "Entries of the history of policies.")
	historyUnsaved    = gauge("history_unsaved", "Entries of the history of policies that could not be written.")
	historyIntact     = gauge("history_intact", "0 if the process has found the history of policies damaged, else 1.")
	handovers         = counter("handovers_total", "Attempts to put another program in the place of the running one, by result: done or failed. The new program continues these counts.", "result")
	handoverSeconds   = gauge("handover_seconds", "Time for which peers were not served during the last handover; 0 if there was none.")
	handoverSessions  = gauge("handover_sessions", "Sessions of the last handover, by fate: moved to the new program, drained, or closed.", "fate")
	configSuccessTime = gauge("config_last_reload_success_timestamp_seconds", "Time of the last reload of the configuration that was not refused.")
)

// Of a tenant's connections.
var (
	connections       = gauge("connections", "Open sessions.", "tenant")
	connectionsLimit  = gauge("connections_limit", "Limit of open sessions; 0 means unlimited.", "tenant")
	connectionsPaused = gauge("connections_paused", "Sessions whose reading is paused because of a quota or a full log.", "tenant")
	connectionsOpened = counter("connections_opened_total", "Sessions opened.", "tenant")
	connectionsClosed = counter("connections_closed_total", "Sessions closed, by reason.", "tenant", "reason")
)

// Of what its peers send.
var (
	pdusReceived  = counter("pdus_received_total", "PDUs from peers.", "tenant")
	bytesReceived = counter("received_bytes_total", "Bytes of PDUs from peers, headers included.", "tenant")
	pdusByAction  = counter("pdus_total", "PDUs from peers that were judged, by command and by the action of the verdict.", "tenant", "command", "action")
	bytesBy       = counter("command_received_bytes_total", "Bytes of PDUs from peers that were judged, headers included, by command.", "tenant", "command")
	pdusAccepted  = counter("pdus_accepted_total", "PDUs from peers that were not dropped, by action. Together with the dropped ones, and in a cluster those under way, these are all that were received.", "tenant", "action")
	pdusDropped   = counter("pdus_dropped_total", "PDUs from peers that were dropped, by reason.", "tenant", "reason")
	pdusMade      = counter("pdus_made_total", "PDUs made by the server: notices, answers, heartbeats.", "tenant")
	slowed        = counter("senders_slowed_total", "Pauses in reading from a peer, by reason.", "tenant", "reason")
	slowedSeconds = counter("senders_slowed_seconds_total", "Duration of the pauses in reading from peers that have ended, by reason.", "tenant", "reason")
)

// Of what its peers are sent.
var (
	copiesDue       = counter("copies_due_total", "Copies of PDUs due to peers: delivered, pending and discarded ones.", "tenant")
	copiesDelivered = counter("copies_delivered_total", "Copies of PDUs completely written.", "tenant")
	groupPeers      = gauge("group_peers", "Connected peers of the group.", "tenant", "group")
	groupCopies     = counter("group_copies_total", "Copies of PDUs that peers of the group got because a verdict names the group.", "tenant", "group")
	copiesDiscarded = counter("copies_discarded_total", "Copies of PDUs that were due when their session ended, by the reason of its end.", "tenant", "reason")
	copiesPending   = gauge("copies_pending", "Copies of PDUs due to connected peers and not written yet.", "tenant")
	bytesSent       = counter("sent_bytes_total", "Bytes written to peers.", "tenant")
	lagMax          = gauge("lag_max_bytes", "Lag of the peer that lags most.", "tenant")
	lagSum          = gauge("lag_bytes", "Sum of the lags of all peers.", "tenant")
	latency         = define(ofDurations, "delivery_seconds", "Time from when PDUs were read from their sender until all that was due by them to a receiver had been written to it, of a sample of receivers. In a cluster it begins when they were read back in the common order.", "tenant")
	logBytes        = gauge("log_bytes", "Memory of the tenant's logs.", "tenant")
	logLimit        = gauge("log_limit_bytes", "Limit of the memory of the tenant's logs; 0 means unlimited.", "tenant")
	probeSeconds    = gauge("probe_seconds", "Time that the last probe took through the tenant's log, or has taken so far if it is still under way.", "tenant")
)

// Of presence and policies.
var (
	users            = gauge("presence_users", "Present users.", "tenant")
	entries          = gauge("presence_entries", "Present users, each counted once for each peer that holds it.", "tenant")
	policyInfo       = gauge("policy_info", "The policy in force; always 1.", "tenant", "name", "sha256")
	policyReloads    = counter("policy_reloads_total", "Policies that came into force, including the first one, or were refused.", "tenant", "result")
	auditPDUs        = counter("audit_pdus_total", "PDUs on which the audited policy was compared with the one in force, since the audit began.", "tenant", "command")
	auditCopies      = counter("audit_copies_total", "Copies of those PDUs: that the policy in force sent and that the audited one would have sent, and of these the useless ones, which only the policy in force sent, and the missed ones, which only the audited one would have sent.", "tenant", "command", "kind")
	auditFaults      = counter("audit_faults_total", "PDUs about which the audited policy failed to decide.", "tenant")
	auditRefused     = gauge("audit_refused", "1 while the policy that the configuration names to be audited is refused, else 0.", "tenant")
	policyRefused    = gauge("policy_refused", "1 while the policy that the configuration names is refused and another one is in force, else 0.", "tenant")
	policyLoad       = gauge("policy_load_seconds", "Time that loading the policy in force took; 0 if unknown.", "tenant")
	decisions        = define(ofDurations, "policy_decision_seconds", "Time that decisions took for which the policy was called, of a sample. All others are answered from memory, in nanoseconds.", "tenant")
	policyFaults     = counter("policy_faults_total", "Faults of the tenant's policies, by kind.", "tenant", "kind")
	releaseDrift     = gauge("release_drift", "1 while the policy in force is not the one that the configuration names, because that was rolled back or killed, or is in force without a release, because the one before was lost; else 0.", "tenant")
	releaseShare     = gauge("release_share_ratio", "Share that obeys the candidate of a release under way: of the units as wanted and as it is, and of the PDUs that the release affects.", "tenant", "of")
	releaseStage     = gauge("release_stage", "1 for the stage of a release under way, else 0.", "tenant", "stage")
	releasePDUs      = counter("release_pdus_total", "PDUs received in releases: about which both policies say the same by ids, and others by which policy was obeyed.", "tenant", "side")
	releaseDiffers   = counter("release_differences_total", "PDUs compared in releases on which the policies differ: in their verdict, or on which the candidate alone fails, closes the sender or sends nothing, or one alone changes who is present.", "tenant", "kind")
	releaseUnweighed = counter("release_unweighed_total", "PDUs of affected commands in releases that were not compared.", "tenant")
	releaseBudget    = gauge("release_budget_ratio", "What the candidate of a release under way uses of what a budget allows. A few PDUs above 1 end no release, as they prove nothing.", "tenant", "budget")
	releasePaused    = gauge("release_paused_seconds", "Time for which a release has been paused; 0 while none is.", "tenant")
	releasesEnded    = counter("releases_total", "Releases with stages that have ended, by result.", "tenant", "result")
	policyKilled     = gauge("policy_killed", "1 while the shipped policy is in force because the tenant's policy was killed, else 0.", "tenant")
	signatureUntil   = gauge("policy_signature_expires_timestamp_seconds", "Expiry time of the signature of the policy in force.", "tenant")
	sourceReached    = gauge("policy_source_reached_timestamp_seconds", "When the address of the tenant's policy was last reached; 0 if it was not.", "tenant")
)

// Of a tenant that several hubs serve as one. Other tenants have none of these.
var (
	clusterState     = gauge("cluster_state", "1 for the state of this hub in its cluster, else 0.", "tenant", "state")
	clusterMembers   = gauge("cluster_members", "Hubs that are members, this one included; 0 while it is none.", "tenant")
	clusterPDUs      = gauge("cluster_underway_pdus", "PDUs from peers that were judged and have not come back in the common order.", "tenant")
	clusterBytes     = gauge("cluster_underway_bytes", "Bytes of records that this hub has said and not read back.", "tenant")
	clusterAside     = gauge("cluster_standby_entries", "Users that standby links have reported, each counted once for each link.", "tenant")
	clusterSeconds   = gauge("cluster_underway_seconds", "Age of the oldest record that this hub has said and not read back; 0 if there is none.", "tenant")
	clusterBehind    = gauge("cluster_behind_records", "Records that are in the log and not applied yet, as far as is known.", "tenant")
	clusterAppended  = counter("cluster_appended_total", "Records that this hub has appended to the log, each counted once.", "tenant")
	clusterSaidAgain = counter("cluster_said_again_total", "Appends of records that this hub had appended before.", "tenant")
	clusterReadAgain = counter("cluster_read_again_total", "Records that this hub had missed and got from what the log keeps.", "tenant")
	clusterReconnect = counter("cluster_reconnects_total", "Times that the connection to the bus was restored.", "tenant")
	clusterTrip      = define(ofDurations, "cluster_round_trip_seconds", "Time from the first append of a record until it was read back.", "tenant")
	clusterApplied   = counter("cluster_applied_total", "Records that counted, by the hub that said them.", "tenant", "hub")
	clusterIgnored   = counter("cluster_ignored_total", "Records that did not count, by why.", "tenant", "why")
	clusterEntered   = counter("cluster_entered_total", "Times that this hub became a member, by why it entered.", "tenant", "why")
	clusterFellOut   = counter("cluster_fell_out_total", "Times that this hub could not read the log on, by reason.", "tenant", "reason")
	clusterGone      = counter("cluster_gone_total", "Other hubs that ceased to be members.", "tenant")
	clusterAlone     = counter("cluster_alone_total", "Times that this hub continued alone.", "tenant")
	clusterTables    = counter("cluster_table_mismatch_total", "Checks at which not all members had the same user table.", "tenant")
	clusterPolicies  = gauge("cluster_policy_mismatch", "Other members that have no policy in common with this hub.", "tenant")
)

// Of listeners.
var (
	accepted         = counter("listener_accepted_total", "Connections accepted.", "listener")
	refused          = counter("listener_refused_total", "Connections accepted and then refused, by reason.", "listener", "reason")
	handshaking      = gauge("listener_handshaking", "Connections on their way to a tenant.", "listener")
	open             = gauge("listener_connections", "Connections of this listener that are served.", "listener")
	sources          = gauge("listener_sources", "Source addresses remembered for their limits.", "listener")
	certificateUntil = gauge("tls_certificate_not_after_timestamp_seconds", "Expiry time of the listener's certificate.", "listener")

	certificateRefused  = gauge("tls_certificate_refused", "1 while the listener's certificate files are refused and earlier ones are in force, else 0.", "listener")
	certificateWarnings = gauge("tls_certificate_warnings", "Warnings about the listener's certificate files in force.", "listener")
)
