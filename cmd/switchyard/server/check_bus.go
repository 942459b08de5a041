package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"switchyard/proxy/config"
	"switchyard/proxy/order/jetstream"
)

// busTime is how long trying the bus may take.
const busTime = 30 * time.Second

// checkBus tries the bus of the cluster, if this hub is to be in one: jetstream.Check does there what
// the hub will do. A bus that does not answer is a fault, as the start would wait for it.
func checkBus(c *config.Config, stdout io.Writer) error {
	if c.Cluster.Name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), busTime)
	defer cancel()
	var tenants []string
	for _, t := range c.Tenants {
		if t.Cluster {
			tenants = append(tenants, t.Name)
		}
	}
	report, err := jetstream.Check(ctx, busSettings(c, "", slog.New(slog.NewTextHandler(stdout, nil))), tenants)
	if err != nil {
		return InvalidError{fmt.Errorf("cluster %s: %w", c.Cluster.Name, err)}
	}
	fmt.Fprintf(stdout, "cluster %s: %d of %d servers of the bus answer, a record takes %v through %d of them\n", c.Cluster.Name, report.Servers, len(c.Cluster.Servers), report.RoundTrip.Round(time.Microsecond), c.Cluster.Replicas)
	for _, w := range report.Warnings {
		fmt.Fprintf(stdout, "cluster %s: warning: %s\n", c.Cluster.Name, w)
	}
	return nil
}

// busSettings returns what the log of a tenant needs to know.
func busSettings(c *config.Config, tenant string, log *slog.Logger) jetstream.Settings {
	n := c.Cluster
	return jetstream.Settings{
		Servers: n.Servers, Cluster: n.Name, Tenant: tenant, Hub: uint16(n.Hub),
		Credentials: c.File(n.Credentials), CA: c.File(n.CA), Certificate: c.File(n.Certificate), Key: c.File(n.Key),
		Replicas: int(n.Replicas), LogBytes: int64(n.Log), Log: log,
	}
}
