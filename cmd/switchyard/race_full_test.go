//go:build full && race

package main

// raced: under the race detector everything takes several times the memory and the time.
const raced = true
