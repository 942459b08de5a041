//go:build full

package order_test

import "testing"

func TestOneOrderManyTimes(t *testing.T) { oneOrder(t, 1000, 1030) }

func TestIncidentsManyTimes(t *testing.T) { throughIncidents(t, 1000, 1030) }
