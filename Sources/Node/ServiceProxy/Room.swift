// Services as packet rules.
