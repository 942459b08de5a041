package tenant

// PacedMark marks a connection that its listener wants paced. It is the connection's limit of
// data that the kernel accepts and does not send, which is too high to have an effect. It
// stays with the connection when another process takes it over.
const PacedMark = 1<<30 + 1
