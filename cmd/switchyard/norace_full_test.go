//go:build full && !race

package main

const raced = false
