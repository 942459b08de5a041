package config

// The defaults serve a small TeamTalk on one machine: peers connect from there only, and the admin
// interface is for the operator at that machine. config.toml has the same values, with the reason
// for each; a test compares the two.

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Admin:     Admin{Address: "127.0.0.1:8280", TLS: TLS{MinVersion: "1.2"}},
		Metrics:   Metrics{TLS: TLS{MinVersion: "1.2"}},
		Listeners: []Listener{defaultListener("127.0.0.1:8200")},
		Tenants:   []Tenant{defaultTenant("default")},
		Peer: Peer{
			Heartbeat:    5 * second,
			Timeout:      30 * second,
			WriteTimeout: 20 * second,
			MaxPDU:       16 * mebibyte,
			FirstPDU:     30 * second,
		},
		WASM: WASM{
			ModuleSize: 8 * mebibyte,
			Memory:     16 * mebibyte,
			Fuel:       280_000,
			Depth:      1000,
			Body:       64 * kibibyte,
			LoadTime:   30 * second,
			Faults:     "auto",
		},
		Signatures: Signatures{State: "auto"},
		Releases:   Releases{State: "auto", Keep: 20},
		Registry:   Registry{Poll: minute},
		Reload:     Reload{Watch: true, Debounce: 150 * millisecond, Poll: 10 * second},
		Drain:      Drain{Timeout: 60 * second},
		Cluster: Cluster{
			Replicas:      3,
			Log:           256 * mebibyte,
			Window:        4 * mebibyte,
			Queue:         32 * mebibyte,
			MemberTimeout: 2500 * millisecond,
			AloneAfter:    20 * second,
		},
		Log: Log{Level: "info", Format: "auto"},
	}
}

// defaultListener returns what a [[listener]] begins with; its address must be written.
func defaultListener(address string) Listener {
	return Listener{
		Name:              address,
		Address:           address,
		Tenant:            "default",
		Connections:       16384,
		SourceConnections: 8192,
		AcceptRate:        1000,
		HandshakeTimeout:  5 * second,
		Pacing:            true,
		TLS:               TLS{MinVersion: "1.2"},
	}
}

// defaultGroup returns what a [tenant.NAME.group.NAME] begins with.
func defaultGroup(name string) Group { return Group{Name: name, Broadcasts: true} }

// defaultTenant returns what a [tenant.NAME] begins with.
func defaultTenant(name string) Tenant {
	return Tenant{
		Name:    name,
		Policy:  "teamtalk",
		MayElse: "drop",
		Cluster: true,
		Limits: Limits{
			LagHard:     64 * mebibyte,
			LagSoft:     8 * mebibyte,
			LagSoftTime: 10 * second,
			Connections: 16384,
			Log:         256 * mebibyte,
			Users:       10_000_000,
			PeerUsers:   10_000_000,
		},
		Quota: Quota{OnBreach: "slow"},
		Release: Release{
			Mode:        "at-once",
			Shadow:      true,
			Stages:      []string{"1%", "10%", "50%"},
			Hold:        5 * minute,
			Sample:      3000,
			MaxWait:     24 * hour,
			OnQuiet:     "pause",
			Unit:        "user",
			Bake:        30 * minute,
			Warm:        hour,
			OnSuspicion: "pause",
			OnRestart:   "resume",
			Presence:    "refuse",
			ShadowFuel:  20_000_000,
			Budget:      ReleaseBudget{Faults: "0%", Closes: "0%", Undelivered: "0.1%", Copies: "+25%", Bytes: "+25%", Fuel: "x4"},
		},
	}
}
