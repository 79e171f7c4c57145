"""How often is a model promoted that is no better, and how often is a better one kept out?"""
