package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
)

// slowRequests make the server load something before it answers.
var slowRequests = map[string]func(*Client, context.Context) error{
	"reload": func(c *Client, ctx context.Context) error { _, err := c.Reload(ctx); return err },
	"rollback": func(c *Client, ctx context.Context) error {
		_, err := c.ChangeRelease(ctx, "rollback", api.ReleaseRequest{})
		return err
	},
	"upgrade": func(c *Client, ctx context.Context) error { _, err := c.Upgrade(ctx, api.UpgradeRequest{}); return err },
}

// An answer to a slow request that comes later than others may is not taken for a server that hangs.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	late := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * short.answer)
		fmt.Fprint(w, "{}")
	}
	with := short
	with.slow = time.Minute
	for name, request := range slowRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := request(newClient(t, Target{Address: listen(t, late)}, with), t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// No request waits for ever for the rest of an answer, whether it reads or changes something.
func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	requests := map[string]func(*Client, context.Context) error{
		"drain":     func(c *Client, ctx context.Context) error { _, err := c.Drain(ctx); return err },
		"log level": func(c *Client, ctx context.Context) error { _, err := c.SetLogLevel(ctx, "info"); return err },
		"close": func(c *Client, ctx context.Context) error {
			_, err := c.CloseConnection(ctx, api.CloseRequest{})
			return err
		},
	}
	for name, request := range slowRequests {
		requests[name] = request
	}
	with := short
	with.slow = with.answer
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := request(newClient(t, Target{Address: listen(t, hang)}, with), t.Context())
			if err == nil || !strings.Contains(err.Error(), "it hangs") {
				t.Errorf("it says %v", err)
			}
		})
	}
}
