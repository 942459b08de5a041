// Package pb holds the protobuf messages in the bodies of PDUs, generated from
// the .proto files beside it. What of a message is checked, and when, is for
// those who read bodies to say.
//
// Go's runtime takes any number for an enumeration, where a parser of the
// original does not take one that its .proto leaves out.
package pb

//go:generate go run -C gen . -in .. -out ..
